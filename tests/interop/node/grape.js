'use strict'

// A real Grape from a program, which can do what its command line cannot: verify the signatures of mutable
// items. Options are one JSON argument; it says "ready" when it serves and ends with its standard input.

const crypto = require('crypto')
const { Grape } = require('grenache-grape')

const SPKI = Buffer.from('302a300506032b6570032100', 'hex') // what comes before an ed25519 key in DER

function verify (signature, message, key) {
  const publicKey = crypto.createPublicKey({ key: Buffer.concat([SPKI, key]), format: 'der', type: 'spki' })
  return crypto.verify(null, message, publicKey, signature)
}

const grape = new Grape({ ...JSON.parse(process.argv[2]), verify })
grape.start((error) => {
  if (error) throw error
  console.log('ready')
})
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
