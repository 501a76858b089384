"""The commands of launch.py, a module each.

A module has `define_flags(values, argv)`, which defines its flags, and
`main(values, arguments)`, which does what they ask for. To tell of a mistyped
flag need not wait for jax, so modules import what works in `main`.
"""
