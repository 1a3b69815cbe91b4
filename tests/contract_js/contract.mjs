// What every version of the JavaScript SDK can rely on.
//
// Run by node in a folder where some version of `e2b` is installed; the service is the
// one that E2B_API_URL, E2B_SANDBOX_URL and E2B_API_KEY name. Prints one line of JSON a
// test. What a version does not have is skipped, with a reason that says so.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const require = createRequire(`${process.cwd()}/`)
const e2b = await import(pathToFileURL(require.resolve('e2b')).href)
const { Sandbox } = e2b

const UNKNOWN_ID = `i${'0'.repeat(20)}`
const LIFE_MS = 120_000
const DEADLINE_MS = 60_000

class Missing extends Error {}

function need(owner, name, label) {
  if (typeof owner?.[name] !== 'function') throw new Missing(`NOT_RUN: this e2b has no ${label}`)
}

async function withSandbox(work, options = {}) {
  const sandbox = await Sandbox.create({ timeoutMs: LIFE_MS, ...options })
  try {
    return await work(sandbox)
  } finally {
    await sandbox.kill()
  }
}

async function rejectsAs(kind, work) {
  await assert.rejects(work, (error) => error instanceof e2b[kind])
}

async function eventually(look) {
  const until = Date.now() + 20_000
  while (Date.now() < until) {
    if (await look()) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

const TESTS = {
  'info tells what create was asked': () =>
    withSandbox(
      async (sandbox) => {
        const info = await sandbox.getInfo()
        assert.equal(info.sandboxId, sandbox.sandboxId)
        assert.equal(info.metadata.user, 'ada')
        assert.equal(info.endAt - info.startedAt, LIFE_MS)
        assert.equal(await sandbox.isRunning(), true)
      },
      { metadata: { user: 'ada' } },
    ),

  'kill says whether there was anything to kill': () =>
    withSandbox(async (sandbox) => {
      assert.equal(await Sandbox.kill(sandbox.sandboxId), true)
      assert.equal(await Sandbox.kill(sandbox.sandboxId), false)
      assert.equal(await sandbox.isRunning(), false)
      assert.equal(await Sandbox.kill(UNKNOWN_ID), false)
    }),

  // Before 2.46 it is a TimeoutError, since then a SandboxNotFoundError; both are this.
  'command in a killed sandbox is refused': () =>
    withSandbox(async (sandbox) => {
      await sandbox.kill()
      await rejectsAs('SandboxError', () => sandbox.commands.run('true'))
    }),

  'list finds by metadata': () =>
    withSandbox(
      async (sandbox) => {
        const pages = Sandbox.list({ query: { metadata: { 'a key&more': 'välue +%25/?' } } })
        const found = (await pages.nextItems()).map((info) => info.sandboxId)
        assert.deepEqual(found, [sandbox.sandboxId])
      },
      { metadata: { 'a key&more': 'välue +%25/?' } },
    ),

  'set timeout counts from now': () =>
    withSandbox(async (sandbox) => {
      const before = (await sandbox.getInfo()).endAt
      await sandbox.setTimeout(600_000)
      assert.ok((await sandbox.getInfo()).endAt > before)
      await sandbox.setTimeout(60_000)
      assert.ok((await sandbox.getInfo()).endAt < before)
    }),

  'connect reaches the same sandbox': () =>
    withSandbox(async (sandbox) => {
      await sandbox.files.write('note', 'here')
      const again = await Sandbox.connect(sandbox.sandboxId)
      assert.equal(await again.files.read('note'), 'here')
    }),

  'unknown sandbox and template are refused': async () => {
    await rejectsAs('NotFoundError', () => Sandbox.connect(UNKNOWN_ID))
    await rejectsAs('SandboxError', () => Sandbox.create('no-such-template'))
  },

  'wrong key is refused': () =>
    rejectsAs('AuthenticationError', () => Sandbox.create({ apiKey: `e2b_${'0'.repeat(40)}` })),

  'pause and connect keep processes': () =>
    withSandbox(async (sandbox) => {
      const pause = sandbox.pause ? 'pause' : 'betaPause'
      need(sandbox, pause, 'Sandbox.pause')
      const command = await sandbox.commands.run('sleep 1000', { background: true })
      await sandbox[pause]()
      assert.equal(await sandbox.isRunning(), false)
      const again = await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 60_000 })
      const pids = (await again.commands.list()).map((info) => info.pid)
      assert.ok(pids.includes(command.pid))
    }),

  'metrics are real figures': () =>
    withSandbox(async (sandbox) => {
      need(sandbox, 'getMetrics', 'Sandbox.getMetrics')
      assert.ok(await eventually(async () => (await sandbox.getMetrics()).length > 0))
      const [point] = await sandbox.getMetrics()
      assert.ok(point.memTotal > point.memUsed && point.memUsed > 0)
    }),

  'run returns both streams and the exit code': () =>
    withSandbox(async (sandbox) => {
      const result = await sandbox.commands.run('echo out; echo err >&2')
      assert.deepEqual([result.stdout, result.stderr, result.exitCode], ['out\n', 'err\n', 0])
      await assert.rejects(
        () => sandbox.commands.run('echo before; exit 7'),
        (error) => error.exitCode === 7 && error.stdout === 'before\n',
      )
    }),

  'run has user, home and variables': () =>
    withSandbox(
      async (sandbox) => {
        const shown = await sandbox.commands.run('pwd; whoami; echo "$A $B"', {
          envs: { B: 'own' },
        })
        assert.equal(shown.stdout, '/home/user\nuser\nsandbox own\n')
        assert.equal((await sandbox.commands.run('id -u', { user: 'root' })).stdout, '0\n')
      },
      { envs: { A: 'sandbox', B: 'sandbox' } },
    ),

  'large output is whole': () =>
    withSandbox(async (sandbox) => {
      const { stdout } = await sandbox.commands.run('yes | head -c 5000000')
      assert.equal(stdout.length, 5_000_000)
    }),

  'background command is listed and killed': () =>
    withSandbox(async (sandbox) => {
      const command = await sandbox.commands.run('sleep 1000', { background: true })
      const pids = async () => (await sandbox.commands.list()).map((info) => info.pid)
      assert.ok((await pids()).includes(command.pid))
      assert.equal(await sandbox.commands.kill(command.pid), true)
      assert.ok(!(await pids()).includes(command.pid))
      assert.equal(await sandbox.commands.kill(command.pid), false)
    }),

  'stdin reaches the command': () =>
    withSandbox(async (sandbox) => {
      const command = await sandbox.commands.run('head -n 1', { background: true, stdin: true })
      await sandbox.commands.sendStdin(command.pid, 'a line\n')
      assert.equal((await command.wait()).stdout, 'a line\n')
    }),

  'timeout ends the command': () =>
    withSandbox((sandbox) =>
      rejectsAs('TimeoutError', () => sandbox.commands.run('sleep 30', { timeoutMs: 1000 })),
    ),

  'terminal echoes and resizes': () =>
    withSandbox(async (sandbox) => {
      let shown = ''
      const terminal = await sandbox.pty.create({
        rows: 24,
        cols: 80,
        onData: (data) => (shown += new TextDecoder().decode(data)),
      })
      await sandbox.pty.resize(terminal.pid, { rows: 30, cols: 100 })
      await sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode('stty size; exit\n'))
      await terminal.wait()
      assert.match(shown, /30 100/)
    }),

  'files come back as they went': () =>
    withSandbox(async (sandbox) => {
      await sandbox.files.write('dir/näme.txt', 'héllo\n')
      assert.equal(await sandbox.files.read('dir/näme.txt'), 'héllo\n')
      const data = new Uint8Array(2_000_000).map((_, index) => index % 256)
      await sandbox.files.write('data.bin', data.buffer)
      const back = await sandbox.files.read('data.bin', { format: 'bytes' })
      assert.deepEqual(Buffer.from(back), Buffer.from(data))
    }),

  'several files go in one call': () =>
    withSandbox(async (sandbox) => {
      await sandbox.files.write([
        { path: 'a/one', data: '1' },
        { path: 'b/two', data: '2' },
      ])
      assert.equal((await sandbox.files.read('a/one')) + (await sandbox.files.read('b/two')), '12')
    }),

  'directories are made, listed, moved and removed': () =>
    withSandbox(async (sandbox) => {
      assert.equal(await sandbox.files.makeDir('x/y'), true)
      assert.equal(await sandbox.files.makeDir('x/y'), false)
      await sandbox.files.write('x/y/f', '1')
      assert.deepEqual(
        (await sandbox.files.list('x')).map((entry) => entry.name),
        ['y'],
      )
      await sandbox.files.rename('x/y', 'z')
      assert.equal(await sandbox.files.exists('z/f'), true)
      await sandbox.files.remove('z')
      assert.equal(await sandbox.files.exists('z'), false)
    }),

  'missing file is not found': () =>
    withSandbox((sandbox) => rejectsAs('NotFoundError', () => sandbox.files.read('missing'))),

  'watch tells of a new file': () =>
    withSandbox(async (sandbox) => {
      await sandbox.files.makeDir('watched')
      const seen = []
      const watch = await sandbox.files.watchDir('watched', (event) => seen.push(event.name))
      await sandbox.files.write('watched/new.txt', 'x')
      assert.ok(await eventually(() => seen.includes('new.txt')))
      await watch.stop()
    }),

  'signed URL needs no header': () =>
    withSandbox(
      async (sandbox) => {
        await sandbox.files.write('a file.txt', 'signed')
        const answer = await fetch(await sandbox.downloadUrl('a file.txt'))
        assert.equal(await answer.text(), 'signed')
      },
      { secure: true },
    ),

  'git works in the sandbox': () =>
    withSandbox(async (sandbox) => {
      need(sandbox.git, 'init', 'Sandbox.git')
      await sandbox.git.init('/home/user/repo')
      await sandbox.files.write('repo/f', 'x')
      assert.equal((await sandbox.git.status('/home/user/repo')).isClean, false)
    }),

  'snapshot starts another sandbox': () =>
    withSandbox(async (sandbox) => {
      need(sandbox, 'createSnapshot', 'Sandbox.createSnapshot')
      await sandbox.files.write('kept', 'yes')
      const { snapshotId } = await sandbox.createSnapshot()
      const second = await Sandbox.create(snapshotId, { timeoutMs: LIFE_MS })
      try {
        assert.equal(await second.files.read('kept'), 'yes')
      } finally {
        await second.kill()
      }
    }),
}

let timer
for (const [name, test] of Object.entries(TESTS)) {
  const started = Date.now()
  let outcome = 'passed'
  let text = ''
  try {
    const deadline = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no end after ${DEADLINE_MS} ms`)), DEADLINE_MS)
    })
    await Promise.race([test(), deadline])
  } catch (error) {
    outcome = error instanceof Missing ? 'skipped' : 'failed'
    text = error instanceof Missing ? error.message : String(error?.stack ?? error)
  } finally {
    clearTimeout(timer)
  }
  const row = { nodeid: name, outcome, text, duration_s: (Date.now() - started) / 1000 }
  process.stdout.write(`${JSON.stringify(row)}\n`)
}
process.exit(0)
