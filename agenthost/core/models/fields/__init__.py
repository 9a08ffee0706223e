"""Lists the fields that each API's requests may have: what stands in no list is not passed on."""
