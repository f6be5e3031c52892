'use strict'
// An unmodified Grenache service on port argv[4], announced as argv[3] at the registry argv[2]. Prints each
// payload as a JSON line.
const Link = require('grenache-nodejs-link')
const { PeerRPCServer } = require('grenache-nodejs-http')

const link = new Link({ grape: 'http://' + process.argv[2] })
link.start()
const peer = new PeerRPCServer(link, { timeout: 300000 })
peer.init()
const service = peer.transport('server')
service.listen(Number(process.argv[4]))
service.on('request', (rid, key, payload, handler) => {
  console.log(JSON.stringify(payload))
  if (payload && payload.fail) return handler.reply(new Error('ERR_ASKED_FOR'), null)
  handler.reply(null, { echo: payload })
})
link.announce(process.argv[3], service.port, {}, (err, count) => {
  console.log(JSON.stringify({ announced: count, err: err && String(err) }))
})
