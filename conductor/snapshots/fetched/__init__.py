"""Fetches repositories by their URLs, from the hosts that the operator allows.

    fetching ─▶ remote ─▶ pinned_connection, packet_lines
       │          └─────▶ references
       ├──────▶ addresses
       └──────▶ pushed.quarantine, store

Git itself never speaks to the network: this is a client of its protocol (version 2) that reads and never negotiates. It
connects to the address that was checked, follows no redirect, and keeps what arrives in a file. That is then measured, indexed
strictly and proven, as the pack of any caller is. So no setting of git, no helper and no hook has a part in it.

    DATA/fetched/<one fetch>/   the pack as it came, and its quarantine; removed at the end of the fetch, and at the next start
"""
