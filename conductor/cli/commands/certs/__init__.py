"""`conductor certs`: the pool's own CA, in a conductor's data folder.

They ask no conductor: a user who can read the CA's key is an admin.
"""
