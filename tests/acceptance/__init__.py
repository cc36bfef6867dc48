"""Acceptance tests: offhook seen from outside, on real sockets, by a client and an AI that share no code with it."""
