"""Images per second of the engine and of plain loops, side by side in interleaved blocks; and their ratios."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from takeoff.benchmarking.images import Images
from takeoff.benchmarking.loops import LEARNING_RATE, WAYS, Engine, EngineWay, Plain, Setting, plain_loops
from takeoff.benchmarking.table import MEMORY, PLAIN, Row, Timed, line, summarised
from takeoff.probing.clock import interleaved
from takeoff.probing.rates import Product, fastest_product
from takeoff.training.hardware import Hardware, choose, first_line

BLOCKS, FEW_BLOCKS = 5, 3
"""Of every loop; the second where a step takes seconds, or time is short."""
SLOW = 1.0
"""Seconds of a step, as expected from its operations, from which on there are few blocks."""
AUGMENTATION = "flip-crop"

Loops = list[tuple[Row, Plain | Engine]]
"""What is timed side by side, each with what its row says before."""


def settings(device: str, threads: int, quick: bool) -> list[Setting]:
    """What is measured: widths, batch sizes and threads at 32 px, and a network of 8 px, whose steps are so short
    that they wait for Python.

    Args:
        device: `cpu` or `cuda`.
        threads: what all threads are.
        quick: only one of each size.

    """
    if quick:
        return [Setting(32, 0.25, 128, 1), Setting(8, 0.25, 64, 1)]
    used = [1] if device == "cuda" else sorted({1, threads})
    # At full width a step of a CPU takes seconds: one batch size tells all.
    wide = (64, 128, 256) if device == "cuda" else (128,)
    sizes = [(32, 0.25, batch) for batch in (64, 128, 256)] + [(32, 1.0, batch) for batch in wide]
    chosen = [Setting(*size, count) for size in [*sizes, (8, 0.25, 64)] for count in used]
    # A GPU's time is counted: what its goals are about goes first.
    return sorted(chosen, key=lambda one: (one.batch != 128, -one.width)) if device == "cuda" else chosen


def busy_settings() -> list[Setting]:
    """What is measured with all cores busy: the widths at 32 px, and the network of 8 px."""
    return [Setting(32, 0.25, 128, 1), Setting(32, 1.0, 128, 1), Setting(8, 0.25, 64, 1)]


def worker_counts(setting: Setting, device: str, cores: int) -> tuple[int, ...]:
    """The DataLoader's workers that are tried: none, and where the setting has cores to spare for them, more."""
    if device == "cuda":
        return tuple(count for count in (0, 2, 8) if count <= cores)
    # Beside a step of seconds the images' work is nothing, whoever does it.
    return (0, 2) if setting.threads >= 2 and setting.width < 1 else (0,)


def measure(
    setting: Setting,
    images: Images,
    device: str,
    cores: int,
    seconds: float,
    say: Callable[[str], None],
    quick: bool = False,
) -> list[Row]:
    """A row per loop in one setting.

    Args:
        setting: what to train.
        images: of the setting's resolution.
        device: `cpu` or `cuda`.
        cores: at hand.
        seconds: of all blocks of one loop together, about.
        say: takes a line for each row.
        quick: few blocks of each loop, however short, and nothing compiled.

    """
    hardware = hardware_of(setting, device)
    workers = worker_counts(setting, device, cores)
    loops, failed = runnable(loops_of(setting, images, hardware, workers, compiled=not quick))
    slow = setting.flops(images) * setting.batch / (4e10 * setting.threads) > SLOW and device == "cpu"
    products = [
        fastest_product(one, seconds / 4).action
        for one in {each.precision: each for each in hardware}.values()
    ]
    actions = [action for _, action in loops]
    try:
        blocks = interleaved([*actions, *products], seconds, FEW_BLOCKS if slow or quick else BLOCKS)
    finally:
        for action in actions:
            action.close()
    timed = [
        Timed(row, action.images_per_call, spent)
        for (row, action), spent in zip(loops, blocks[: len(loops)], strict=True)
    ]
    ceilings = {
        product.hardware.precision: product.flops() / median(spent)
        for product, spent in zip(products, blocks[len(loops) :], strict=True)
        if isinstance(product, Product)
    }
    rows = summarised(timed, setting.flops(images), ceilings) + failed
    for row in rows:
        say(line(row))
    return rows


def left_out(setting: Setting, images: Images, device: str, why: str, say: Callable[[str], None]) -> Row:
    """A row without numbers, for a setting that is not measured."""
    row = row_of("engine", setting, images, hardware_of(setting, device)[0], note=f"left out: {why}")
    say(line(row))
    return row


def runnable(loops: Loops) -> tuple[Loops, list[Row]]:
    """The loops that run here, and rows without numbers for those that do not: a GPU, its driver or a compiler may not
    do what another does. Only ways that rest on these are tried.
    """
    run: Loops = []
    failed: list[Row] = []
    for row, action in loops:
        if isinstance(action, Engine) and (action.way.way.graph or action.way.way.compiled):
            why = ""
            try:
                action.ready()
                action()
            except Exception as error:
                # Compilers fail in many ways.
                if not (action.way.way.compiled or isinstance(error, RuntimeError)):
                    raise
                why = first_line(error)
            if why:  # outside the handler, which would keep all that the way holds
                action.close()
                failed.append(replace(row, note=f"left out: {why}"))
                continue
        run.append((row, action))
    return run, failed


def hardware_of(setting: Setting, device: str) -> tuple[Hardware, Hardware, Hardware]:
    """In what the engine trains such images, the loop in memory, which takes bfloat16 wherever it is fast, and the
    plain loop, which knows float32.
    """
    threads = setting.threads
    own = choose(device, "auto", threads, setting.resolution)
    return own, choose(device, "auto", threads), choose(device, "float32", threads)


def loops_of(
    setting: Setting,
    images: Images,
    hardware: tuple[Hardware, Hardware, Hardware],
    workers: Sequence[int],
    compiled: bool = False,
) -> Loops:
    """Every loop of a setting, with what its row says before it is timed.

    Args:
        setting: what to train.
        images: of the setting's resolution.
        hardware: as `hardware_of` gives it.
        workers: of the plain loop's DataLoader, a row each; none: no such loop, whose torchvision takes its time.
        compiled: whether to take compiled ways of the engine, too.

    """
    own, half, full = hardware
    plain = plain_loops()
    pixels, labels = images.on_host()
    task = plain.Task(
        images=pixels,
        labels=labels,
        mean=images.card["mean"],
        deviation=images.card["std"],
        network=setting.network,
        classes=images.classes,
        batch=setting.batch,
        device=half.device,
        learning_rate=LEARNING_RATE,
    )
    notes = ["convolutions in TensorFloat-32, as torch comes"] * (half.device.type == "cuda")
    if workers and not plain.has_torchvision():
        notes.append("torchvision is missing: transforms written with torch alone")
    loops: Loops = [
        (
            row_of(PLAIN, setting, images, full, workers=count, note="; ".join(notes)),
            Plain(lambda n=count: plain.dataloader(task, n), setting.batch, full, count),  # type: ignore[misc]
        )
        for count in workers
    ]
    loops.append(
        (
            row_of(MEMORY, setting, images, half),
            Plain(lambda: plain.memory(task, half.half), setting.batch, half, search=True),
        )
    )
    data = images.resident(half.device)
    loops += [
        (
            row_of(way.name, setting, images, own, runs=way.runs),
            engine(way, setting, images, own, data),
        )
        for way in WAYS
        if way.fits(half.device.type, setting) and (compiled or not way.way.compiled)
    ]
    return loops


def engine(way: EngineWay, setting: Setting, images: Images, hardware: Hardware, data=None) -> Engine:
    """The engine in one setting."""
    recipe = {"batch_size": setting.batch, "augmentation": AUGMENTATION}
    steps = setting.epoch_steps(images, hardware.device.type, way.runs)
    data = images.resident(hardware.device) if data is None else data
    return Engine(way, setting.network, recipe, data, steps, hardware)


def row_of(loop: str, setting: Setting, images: Images, hardware: Hardware, **more) -> Row:
    """A row before it is timed."""
    return Row(
        loop=loop,
        width=setting.width,
        batch=setting.batch,
        threads=setting.threads,
        precision=hardware.precision,
        resolution=setting.resolution,
        images=images.source,
        device=hardware.name,
        **more,
    )
