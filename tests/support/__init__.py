"""What tests share: namespaces, a real web server, exact TCP segments, httptop itself, a terminal, bpf(2), frames."""
