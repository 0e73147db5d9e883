"""Engines that run Beam's jobs on other machines: what is checked before a job is sent."""
