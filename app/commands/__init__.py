"""The commands of `claimcheck`, one file each: arguments, help, output and exit status.

A command parses its options, opens what it needs and calls the room that does the work. It may
import everything but `cli`, which alone imports it.
"""
