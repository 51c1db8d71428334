"""Models as they are served: card, plan, library and host."""
