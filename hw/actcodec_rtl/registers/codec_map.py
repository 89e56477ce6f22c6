"""The registers of the codec's AXI shell. Offsets and fields are the same for every build."""

from __future__ import annotations

from actcodec.params import CodecParams
from actcodec_rtl.registers.model import REGISTER_BITS, Access, Field, Register, RegisterGroup, RegisterMap

ID = int.from_bytes(b"ACTC", "little")
MAP_VERSION = (1, 1)
"""Major and minor: a change that old software does not survive, and an addition."""
JOB_QUEUE_DEPTH = 4
"""Jobs of a direction that wait while one runs."""
DIRECTION_BASES = {"encoder": 0x100, "decoder": 0x200}

ERRORS = {
    "early_last": "TLAST before the frame's last input; the rest of the frame was taken as zeros.",
    "late_last": "No TLAST on the frame's last input; what followed up to TLAST was dropped.",
    "bad_site": "A job for a site that no table was loaded for; it was refused.",
    "bad_window": "A job with an impossible window; it was refused.",
    "bad_table": "A malformed table image; its tables are not to be used.",
    "job_overrun": "START with a full job queue; that job was dropped.",
    "keep": "TKEEP with a hole, or other bytes than the site's geometry has.",
}
INTERRUPTS = {
    "done": "The last output of a frame was taken.",
    "error": "A bit of ERRORS was set.",
    "table": "A table image was loaded completely.",
}


def _fixed(name: str, offset: int, description: str, *fields: Field) -> Register:
    return Register(name, offset, "ro", description, fields, fixed=True)


def _number(
    name: str, offset: int, access: Access, description: str, bits: int = REGISTER_BITS, reset: int = 0
) -> Register:
    return Register(name, offset, access, description, (Field("value", 0, bits, description, reset),))


def _flags(names: dict[str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, bit, 1, text) for bit, (name, text) in enumerate(names.items()))


def _global_registers(p: CodecParams, digest: int) -> tuple[Register, ...]:
    major, minor = MAP_VERSION
    return (
        _fixed("id", 0x00, "Identification.", Field("value", 0, 32, "The letters ACTC, first one lowest.", ID)),
        _fixed(
            "version",
            0x04,
            "Version of this map.",
            Field("minor", 0, 16, "Additions.", minor),
            Field("major", 16, 16, "Changes that old software does not survive.", major),
        ),
        _fixed(
            "generator",
            0x08,
            "What the RTL was made from.",
            Field("hash", 0, 32, "First eight digits of `digest` in generated.json.", digest),
        ),
        _fixed(
            "build",
            0x0C,
            "What this build has.",
            *(
                Field(name, bit, 1, f"It has {article} {name}.", int(name in p.directions))
                for bit, (name, article) in enumerate((("encoder", "an"), ("decoder", "a")))
            ),
            Field("accumulators", 2, 1, "Its encoder takes accumulators and has no array.", int(p.takes_accumulators)),
            Field("banks", 8, 4, "Banks of the table memories.", p.banks),
            Field("queue_depth", 12, 4, "Jobs that a direction's queue holds.", JOB_QUEUE_DEPTH),
        ),
        _fixed(
            "array",
            0x10,
            "Sizes of the MAC array.",
            Field("lanes", 0, 8, "Activations a cycle.", p.lanes),
            Field("rows", 8, 8, "Coefficients in parallel.", p.rows),
            Field("codes", 16, 8, "Codes a cycle.", p.codes_per_cycle),
            Field("block", 24, 8, "Channels of a block.", p.block),
        ),
        _fixed(
            "bus",
            0x14,
            "Widths.",
            Field("word_bits", 0, 16, "Bits of a word of stream and tables.", p.word_bits),
            Field("acc_bits", 16, 8, "Bits of an accumulator.", p.acc_bits),
        ),
        _fixed(
            "channels",
            0x18,
            "Limits of a site's channels.",
            Field("max_channels", 0, 16, "Most channels.", p.max_channels),
            Field("max_coefficients", 16, 16, "Most coefficients.", p.max_coefficients),
        ),
        _fixed("max_sites", 0x1C, "Sites.", Field("value", 0, 32, "Parameter `max_sites`.", p.max_sites)),
        _fixed("max_side", 0x20, "Height and width.", Field("value", 0, 32, "Largest height or width.", p.max_side)),
        *(
            _fixed(name, offset, "Depth of table memories.", Field("value", 0, 32, f"Parameter `{name}`.", value))
            for name, offset, value in (
                ("plane_depth", 0x24, p.plane_depth),
                ("step_depth", 0x28, p.step_depth),
                ("coefficient_depth", 0x2C, p.coefficient_depth),
            )
        ),
        Register(
            "control",
            0x40,
            "rw",
            "What runs.",
            (
                Field("encoder_enable", 0, 1, "Hand queued jobs to the encoder; a running frame is finished anyway."),
                Field("decoder_enable", 1, 1, "Hand queued jobs to the decoder; a running frame is finished anyway."),
            ),
        ),
        Register(
            "soft_reset",
            0x44,
            "wo",
            "Reset of all but the AXI4-Lite port and the rw and w1c registers.",
            (
                Field(
                    "core",
                    0,
                    1,
                    "Drop frames, jobs, counters and tables; outputs fall silent in the middle of a frame.",
                ),
            ),
        ),
        Register(
            "irq_pending",
            0x48,
            "ro",
            "Which direction asks for an interrupt.",
            (
                Field("encoder", 0, 1, "IRQ_STATUS & IRQ_ENABLE of the encoder is not 0."),
                Field("decoder", 1, 1, "IRQ_STATUS & IRQ_ENABLE of the decoder is not 0."),
            ),
        ),
    )


def _direction_registers() -> tuple[Register, ...]:
    return (
        Register(
            "status",
            0x00,
            "ro",
            "State of the direction.",
            (
                Field("busy", 0, 1, "A frame runs."),
                Field("queue_full", 1, 1, "START would overrun."),
                Field("loading", 2, 1, "A table image is being loaded."),
                Field("table_bank", 3, 1, "Bank of the last table image."),
                Field("queue_level", 4, 4, "Jobs that wait."),
                Field("done_count", 16, 16, "Frames finished since reset, modulo 2^16."),
            ),
        ),
        Register("errors", 0x04, "w1c", "Errors since they were cleared.", _flags(ERRORS)),
        Register("irq_status", 0x08, "w1c", "What happened.", _flags(INTERRUPTS)),
        Register(
            "irq_enable",
            0x0C,
            "rw",
            "What raises `irq`.",
            _flags({name: f"`{name}` of IRQ_STATUS." for name in INTERRUPTS}),
        ),
        Register(
            "job_site",
            0x10,
            "rw",
            "The job that START queues.",
            (
                Field("site", 0, 16, "Number of the site."),
                Field("bank", 16, 1, "Bank of its tables."),
                Field("window", 17, 1, "0: the whole frame; the other JOB registers are ignored."),
            ),
        ),
        Register(
            "job_window",
            0x14,
            "rw",
            "Where a window begins.",
            (
                Field("plane", 0, 16, "Block-major sites: number of the block."),
                Field("offset", 16, 16, "Bit of the first word at which the first position begins."),
            ),
        ),
        _number("job_count", 0x18, "rw", "Positions of a row."),
        _number("job_stride", 0x1C, "rw", "Every stride-th position of a row is decoded.", reset=1),
        _number("job_rows", 0x20, "rw", "Rows of the window."),
        Register(
            "start", 0x24, "wo", "Queues the job.", (Field("push", 0, 1, "1: queue what the JOB registers say."),)
        ),
        Register(
            "counter_control",
            0x28,
            "wo",
            "Reading the counters.",
            (
                Field("snapshot", 0, 1, "Copy all counters into the registers below at once."),
                Field("clear", 1, 1, "Counters back to 0; together with `snapshot`, after the copy."),
            ),
        ),
        _number("beats", 0x30, "ro", "Snapshot: beats of activations."),
        _number("words", 0x34, "ro", "Snapshot: words of the stream."),
        _number("payload_low", 0x38, "ro", "Snapshot: payload bits, lower half."),
        _number("payload_high", 0x3C, "ro", "Snapshot: payload bits, upper half."),
        _number("input_stalls", 0x40, "ro", "Snapshot: cycles in which the direction waited for its input."),
        _number("output_stalls", 0x44, "ro", "Snapshot: cycles in which an output waited to be taken."),
        _number("frames", 0x48, "ro", "Snapshot: frames finished."),
        _number("table_words", 0x50, "ro", "Words of table images since reset, headers of images not counted."),
        _number("table_loads", 0x54, "ro", "Table images loaded completely since reset."),
    )


def codec_registers(params: CodecParams, digest: int = 0) -> RegisterMap:
    """The map of a build: its parameters are the reset values of fixed fields; ``digest`` is the generator's hash.

    A direction that the build does not have has no registers; the bits of it in the registers of the whole stay.
    """
    return RegisterMap(
        (
            RegisterGroup("codec", "The whole block.", (("", 0),), _global_registers(params, digest)),
            RegisterGroup(
                "direction",
                "One direction.",
                tuple((name, base) for name, base in DIRECTION_BASES.items() if name in params.directions),
                _direction_registers(),
            ),
        )
    )
