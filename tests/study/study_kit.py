"""What tests of whole studies ask of them."""

from pathlib import Path

from calando.records import Store, StudySpec


def decided(folder: Path) -> dict:
    """Everything in a store that runs decide, to the bit; what it took to make them is left out."""
    with Store.open(folder, read_only=True) as store:
        study = store.study.model_dump()
        for centre in study["centres"].values():
            del centre["seconds"]
        runs = {
            digest: (r.outcome, r.steps_done, r.losses.tobytes(), r.rates.tobytes(), repr(r.evaluations), r.events)
            for digest, r in store.runs().items()
        }
        return {"study": study, "runs": runs, "tests": store.tests()}


def processes_under(process: int) -> list[int]:
    """Ids of all that a process started and that those started: the resource tracker, the fork server, the workers."""
    try:
        listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [one for child in map(int, listed) for one in (child, *processes_under(child))]


def workers_under(process: int) -> list[int]:
    """Of those, the ones that the fork server started."""
    servers = [one for one in processes_under(process) if b"forkserver" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return processes_under(servers[0]) if servers else []


def all_runs(study: StudySpec) -> set[str]:
    """Digests of every trial and final run that a study may ask for at its grids."""
    rates = {one.name: study.rate_grids.get(one.name, (one.lr,)) for one in study.strategies}
    return {
        study.run(strategy.at_rate(rate), seed=seed).digest()
        for strategy in study.strategies
        for rate in rates[strategy.name]
        for seed in range(study.seeds)
    }
