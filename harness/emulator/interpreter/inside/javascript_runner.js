// Evaluates code for javascript_kernel.py: requests are lines of JSON on standard input,
// answers lines of JSON on the descriptor that the first argument names. V8's own notebook mode keeps what code declares,
// lets it be declared again, and waits for `await` outside of functions.
"use strict";

const fs = require("node:fs");
const inspector = require("node:inspector");
const path = require("node:path");
const readline = require("node:readline");
const util = require("node:util");
const { createRequire, stripTypeScriptTypes } = require("node:module");
const { pathToFileURL } = require("node:url");

const session = new inspector.Session();
session.connect();
process.removeAllListeners("warning"); // that types are stripped is no news to anyone

const answers = Number(process.argv[2]);
const send = (message) => fs.writeSync(answers, `${JSON.stringify(message)}\n`);
for (const name of ["stdout", "stderr"]) {
  process[name].write = (chunk, encoding, done) => {
    const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
    send({ stream: name, text });
    const callback = typeof encoding === "function" ? encoding : done;
    if (callback) process.nextTick(callback);
    return true;
  };
}

// Modules are those that a file in the current folder would find.
const requireHere = () => createRequire(path.join(process.cwd(), "notebook.js"));
globalThis.require = (name) => requireHere()(name);
globalThis.__import = (name) => {
  if (name.startsWith("node:")) return import(name);
  const found = requireHere().resolve(name);
  return import(path.isAbsolute(found) ? pathToFileURL(found).href : found);
};

const IMPORT =
  /^([ \t]*)import\s+(?!type\b)(?:([\w$]+)\s*(?:,\s*)?)?(?:\*\s*as\s+([\w$]+)\s*|\{([^}]*)\}\s*)?(?:from\s*)?(["'][^"'\n]+["'])[ \t]*;?/gm;

function dynamicImports(code) {
  return code.replace(IMPORT, (_, indent, main, all, names, from) => {
    const bound = [];
    if (main) bound.push(`default: ${main}`);
    for (const name of (names || "").split(",").map((part) => part.trim())) {
      if (name) bound.push(name.replace(/\s+as\s+/, ": "));
    }
    const loaded = `await __import(${from})`;
    const lines = [];
    if (all) lines.push(`const ${all} = ${loaded};`);
    if (bound.length) lines.push(`const { ${bound.join(", ")} } = ${loaded};`);
    return indent + (lines.join(" ") || `${loaded};`);
  });
}

function withoutTypes(code) {
  try {
    return stripTypeScriptTypes(code, { mode: "transform" });
  } catch {
    return code; // the error that V8 reports is about the code as it was given
  }
}

const post = (method, parameters) =>
  new Promise((resolve, reject) => {
    session.post(method, parameters, (error, result) => (error ? reject(error) : resolve(result)));
  });

globalThis.__shown = (value) => {
  const data = { "text/plain": util.inspect(value) };
  if (Array.isArray(value) || Object.getPrototypeOf(Object(value)) === Object.prototype) {
    try {
      data["application/json"] = JSON.parse(JSON.stringify(value));
    } catch {
      // what JSON cannot hold has its text
    }
  }
  return JSON.stringify(data);
};
globalThis.__failed = (value) => {
  const error = value instanceof Error ? value : { name: "Error", message: util.inspect(value) };
  const [traceback] = (error.stack || "").split("\n    at Session.post (node:inspector"); // ours
  return JSON.stringify({ name: error.name, value: error.message, traceback });
};

async function described(name, remote) {
  const argument = remote.objectId
    ? { objectId: remote.objectId }
    : remote.unserializableValue
      ? { unserializableValue: remote.unserializableValue }
      : { value: remote.value };
  const { result } = await post("Runtime.callFunctionOn", {
    functionDeclaration: `(value) => globalThis.${name}(value)`,
    arguments: [argument],
    executionContextId: contextId,
  });
  return JSON.parse(result.value);
}

async function evaluate(code) {
  const { result, exceptionDetails } = await post("Runtime.evaluate", {
    expression: withoutTypes(dynamicImports(code)),
    replMode: true,
  });
  if (exceptionDetails) return { error: await described("__failed", exceptionDetails.exception) };
  return result.type === "undefined" ? {} : { data: await described("__shown", result) };
}

let contextId = 1;
let interrupt = () => {};
session.on("Runtime.executionContextCreated", ({ params }) => {
  contextId = params.context.id;
});
process.on("SIGINT", () => interrupt());
for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error) => send({ stream: "stderr", text: `${util.inspect(error)}\n` }));
}

async function serve() {
  await post("Runtime.enable", {});
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const interrupted = new Promise((resolve) => {
      const error = { name: "Interrupted", value: "Execution was interrupted", traceback: "" };
      interrupt = () => resolve({ error });
    });
    send({ done: await Promise.race([evaluate(JSON.parse(line).code), interrupted]) });
    interrupt = () => {};
  }
  process.exit(0);
}

serve();
