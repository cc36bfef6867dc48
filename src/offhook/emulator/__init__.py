"""Plays the OpenAI Realtime API over WebSocket for any client: `session` is the behaviour, `server` the socket."""
