"""Keeps the snapshots that callers push, each caller's apart from all others.

    store ─▶ caller_store ─▶ landing ─▶ quarantine ─▶ servicekit.packs
                 └─────────▶ partial_pack, records

    DATA/pushed/<caller>/  git folder with the objects of that caller's snapshots, and of no other's
                           incoming/<digest>.pack   packs that are not whole yet
                           quarantine/              packs that are not proven yet
                           records/<commit>.json    what its caller said of a snapshot

A caller's folder is all that its pushes can build upon, and all that its snapshots can consist of. So no push tells anything of
another caller's objects, neither by its answer nor by its time. A run copies what it needs into the conductor's own store.
"""
