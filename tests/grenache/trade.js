'use strict'
// An unmodified Grenache client that trades: argv[2] is the registry's HTTP address. Prints one JSON line a reply.
const Link = require('grenache-nodejs-link')
const { PeerRPCClient } = require('grenache-nodejs-http')

const link = new Link({ grape: 'http://' + process.argv[2] })
link.start()
const peer = new PeerRPCClient(link, {})
peer.init()

const calls = [
  { action: 'place', side: 'sell', quantity: '1.5', price: '30000' },
  { action: 'place', side: 'buy', quantity: '0.5', price: '30000' },
  { action: 'trades', last: 5 },
  { action: 'place', side: 'buy', quantity: 'abc', price: '1' }
]

function next () {
  const payload = calls.shift()
  if (payload === undefined) {
    return peer.map('p2px:exchange', { action: 'book' }, { timeout: 10000 }, (err, results) => {
      console.log(JSON.stringify({ err: err && err.message, result: results }))
      peer.stop()
      link.stop()
      process.exit(0)
    })
  }
  peer.request('p2px:exchange', payload, { timeout: 10000 }, (err, result) => {
    console.log(JSON.stringify({ err: err && err.message, result }))
    next()
  })
}
next()
