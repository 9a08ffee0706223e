"""For editors and documents: the JSON schema of flow files, and the comments of the protos that it shows."""
