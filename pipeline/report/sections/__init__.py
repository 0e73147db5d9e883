"""The sections of a report, each in a file of its own: what is known of a run becomes blocks of the page."""
