"""What the machine that runs azpreflight asks the network by itself: the sources `dns`, `tcp`, `tls` and `http`."""
