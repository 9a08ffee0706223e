"""TLS of both services: who a certificate is for, its files, and the pool's own CA. Imports neither service.

`identity` is pure. Only what reads or makes certificates needs the library `cryptography`: services without TLS do not load it.
"""
