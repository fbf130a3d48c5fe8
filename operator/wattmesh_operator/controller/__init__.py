"""The controller: watches and resyncs mark a namespace as changed, a worker passes over it, a pass makes it so."""
