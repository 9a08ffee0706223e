"""`conductor certs`: the pool's own CA, in a conductor's data folder. It asks no conductor: whoever reads the CA's key is admin."""
