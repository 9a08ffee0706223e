"""Trouble with TLS between this conductor and a host: a sentence for `conductor hosts`, and the command that mends it."""

from servicekit.tls.admission import clock
from servicekit.tls.certificates import Facts
from servicekit.tls.credentials import WatchedFiles
from servicekit.tls.diagnosis import Caller, Finding, Trouble, diagnose, trusted_facts
from servicekit.tls.identity import Identity, Kind

_OWN = "renew this conductor's:  conductor certs renew --data DIR"
_CLOCK = "set the clock that is wrong:  date -u"


def tls_trouble(name: str, target: str, watched: WatchedFiles | None) -> str:
    """Returns the trouble with the host of that name at `HOST:PORT`; empty where there is none. Blocks for some seconds at most."""
    finding = diagnose(target, _caller(name, watched) if watched else None)
    return _told(finding, name, target) if finding is not None else ""


def certificate_end(name: str, target: str, watched: WatchedFiles) -> float | None:
    """Returns when the certificate of that host ends; None where it shows none that is good. Blocks for some seconds at most."""
    facts = trusted_facts(target, _caller(name, watched))
    return facts.not_after.timestamp() if facts else None


def _caller(name: str, watched: WatchedFiles) -> Caller:
    material = watched.material
    wanted = Identity(watched.identity.pool, Kind.HOST, name).server_name
    return Caller(material.ca, material.certificate, material.key, wanted)


def _told(finding: Finding, name: str, target: str) -> str:
    bundle = f"conductor certs host {name} --address {target} --data DIR --out {name}.agenthost"
    join = f"make its bundle and let it join:  {bundle}, agenthost join {name}.agenthost --data DIR"
    server, own, now = finding.server, finding.own, clock(finding.now)
    ended, begun = clock(server.not_after) if server else "", clock(server.not_before) if server else ""
    own_ended, own_begun = clock(own.not_after) if own else "", clock(own.not_before) if own else ""
    texts = {
        Trouble.SERVER_WITHOUT_TLS: f"speaks no TLS at {target}, and this conductor dials by TLS; {join}",
        Trouble.SERVER_WITH_TLS: f"speaks TLS at {target}, and this conductor has no certificates; "
        "make them:  conductor certs init --data DIR",
        Trouble.SERVER_EXPIRED: f"its certificate ended at {ended}, and the clock here says {now}; {join}",
        Trouble.SERVER_EARLY: f"its certificate begins at {begun}, and the clock here says {now}; {_CLOCK}",
        Trouble.SERVER_CA: f"its certificate is of another CA than this conductor's; {join}",
        Trouble.SERVER_NAME: f"what listens at {target} shows the certificate of {_shown(server)}, not of host '{name}'; "
        f"name the right address, or {join}",
        Trouble.SERVER_USAGE: f"its certificate is not for serving; {join}",
        Trouble.OWN_EXPIRED: f"this conductor's certificate ended at {own_ended}, and the clock here says {now}; {_OWN}",
        Trouble.OWN_EARLY: f"this conductor's certificate begins at {own_begun}, and the clock here says {now}; {_CLOCK}",
        Trouble.OWN_USAGE: f"this conductor's certificate is not for calling; {_OWN}",
        Trouble.OWN_CA: f"it trusts another CA than that of this conductor's certificate; {join}",
        Trouble.OWN_REFUSED: f"it refuses this conductor's certificate, which is of a CA that it does not trust; {join}",
    }
    return texts.get(finding.trouble, "")


def _shown(facts: Facts | None) -> str:
    if facts is None:
        return "another server"
    return (
        f"{facts.identity.kind} '{facts.identity.name}'" if facts.identity else ", ".join(facts.names[:3]) or "a server"
    )
