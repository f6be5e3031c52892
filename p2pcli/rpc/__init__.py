"""The annex that carries requests: frames in, payloads out, between processes that share a secret.

``frame``         length-prefixed frames in a byte stream
``auth``          who is talking: a mutual HMAC-SHA256 handshake with a key derived for that one
``credentials``   what each side holds, and the keys derived from the cluster's secret
``breaker``       when to leave a failing peer alone (pybreaker underneath)
``tls``           TLS 1.3 as a transform of bytes
``certificates``  the cluster's CA and what it signs
``exposure``      who can reach an address: without TLS nobody but this machine may
``tcp``           sockets: a listener, and a connection that sends and receives payloads
``handshake``     both ends of a conversation's beginning: a dialler, a greeter

On the wire: 4 bytes length, big endian, then that many bytes of MessagePack. What the MessagePack
means is the business of the floor above; only the handshake is decided here.

    client                                     node
      Hello(version, nonce, owner, role)  ->
                                          <-   Challenge(version, nonce, node, cluster, proof)
      Proof(proof)                        ->
                                          <-   Welcome(greeting)   or   Turned away(code, message)

The node proves itself first, so a client with another secret learns that before it says anything
about its own. Both proofs cover every field sent before them.
"""
