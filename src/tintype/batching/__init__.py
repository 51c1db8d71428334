"""When to close a batch, the bounded queue, the engine threads, and the gate for memory."""
