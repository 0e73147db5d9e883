"""A one-node cluster of real parts on this machine; scripts, in the order of ../README.md."""
