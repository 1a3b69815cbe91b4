// Has Node's fetch go through HTTPS_PROXY, for an e2b that knows only public host names.
//
// Node reads that variable by itself since 24; before, a program sets undici's agent, as here.

import { EnvHttpProxyAgent, setGlobalDispatcher } from 'undici'

setGlobalDispatcher(new EnvHttpProxyAgent())
