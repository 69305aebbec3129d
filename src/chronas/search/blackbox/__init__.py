"""Black-box searchers: they propose architectures and learn from their scores. One file each, on a shared loop."""
