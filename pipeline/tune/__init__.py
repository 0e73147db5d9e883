"""The sweep over settings: `maskline tune`."""
