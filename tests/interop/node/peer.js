'use strict'

// Real Grenache clients, driven from outside: one JSON command a line comes in on standard input, one JSON
// answer a line goes out: {"error": message or null, "code": number or null, "data": any}. Options are one JSON
// argument: {"grape": "http://127.0.0.1:30001"}.

const readline = require('readline')
const Link = require('grenache-nodejs-link')

const transports = { http: require('grenache-nodejs-http'), ws: require('grenache-nodejs-ws') }
const link = new Link(JSON.parse(process.argv[2]))
link.start()
const clients = {}

const commands = {
  lookup: ({ name }, done) => link.lookup(name, done),
  announce: ({ name, port }, done) => link.announce(name, port, {}, done),
  put: ({ data }, done) => link.put(data, done),
  get: ({ data }, done) => link.get(data, done),

  // Announce, and go on announcing every so many milliseconds.
  keepAnnouncing: ({ name, port, interval }, done) => link.startAnnouncing(name, port, { interval }, done),

  // Serve a service that echoes what it is sent, and announce it.
  serve: ({ transport, name, port }, done) => {
    const { PeerRPCServer } = transports[transport]
    const peer = new PeerRPCServer(link, {})
    peer.init()
    const service = peer.transport('server')
    service.listen(port)
    service.on('request', (rid, key, payload, handler) => handler.reply(null, { echo: payload, by: transport }))
    link.announce(name, service.port, {}, done)
  },

  request: ({ transport, name, payload }, done) => {
    if (!clients[transport]) {
      const { PeerRPCClient } = transports[transport]
      clients[transport] = new PeerRPCClient(link, {})
      clients[transport].init()
    }
    clients[transport].request(name, payload, { timeout: 10000 }, done)
  },

  map: ({ transport, name, payload }, done) => {
    const { PeerRPCClient } = transports[transport]
    const peer = new PeerRPCClient(link, {})
    peer.init()
    peer.map(name, payload, { timeout: 10000 }, done)
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line)
  commands[command.do](command, (error, data) => {
    console.log(JSON.stringify({
      error: error ? error.message : null,
      code: (error && error.code) || null,
      data: data === undefined ? null : data
    }))
  })
}).on('close', () => process.exit(0))
