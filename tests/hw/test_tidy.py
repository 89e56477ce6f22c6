"""Each textual rewrite of the exported Verilog, on texts small enough to read."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from actcodec_rtl.tidy import split_modules, tidy

CASEZ = """\
  function [7:0] \\$pmux$1 ;
    input [7:0] a;
    input [23:0] b;
    input [2:0] s;
    casez (s) // synopsys parallel_case
      3'b?1?:
        \\$pmux$1  = b[15:8];
      3'b??1:
        \\$pmux$1  = b[7:0];
      3'b1??:
        \\$pmux$1  = b[23:16];
      default:
        \\$pmux$1  = a;
    endcase
  endfunction
"""


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("assign \\p.data[0]  = 1;", "assign p_data_0 = 1;"),
        ("assign \\$3  = \\$12 [1:0];", "assign w_3 = w_12 [1:0];"),
        ("\\top.part.ram  ram (.\\port.x (\\port.x ));", "actcodec_part_ram ram (.port_x (port_x ));"),
        ("plain a_b = 8'hff;", "plain a_b = 8'hff;"),
    ],
)
def test_escaped_names_become_plain_ones(before: str, after: str) -> None:
    assert words(tidy(before, "top")) == words(after)


def test_a_name_that_is_taken_gets_a_number_and_keeps_it_everywhere() -> None:
    text = tidy("wire a_b; wire \\a.b ; wire \\a$b ; wire \\a[b] ; assign \\a.b  = \\a[b]  & a_b;", "top")
    names = re.findall(r"wire (\w+)", text)
    assert len(set(names)) == 4 and names[0] == "a_b"
    assert words(text).endswith(f"assign {names[1]} = {names[3]} & a_b;")


def test_escaped_names_of_two_modules_do_not_meet() -> None:
    text = tidy("module \\top.a ; wire \\x.y ; endmodule\nmodule x_y; endmodule\n", "top")
    assert "wire x_y ;" not in text and "module x_y;" in text


def test_a_one_hot_multiplexer_becomes_a_chain_of_the_same_selections() -> None:
    text = words(tidy(CASEZ, "top"))
    assert "case" not in text
    assert (
        "if (s[1]) pmux_1 = b[15:8]; else if (s[0]) pmux_1 = b[7:0]; else if (s[2]) pmux_1 = b[23:16]; else pmux_1 = a;"
    ) in text
    assert text.endswith("endfunction")


def test_every_multiplexer_of_a_text_is_rewritten_on_its_own() -> None:
    text = tidy(CASEZ + CASEZ.replace("$1", "$2"), "top")
    assert text.count("if (s[0])") == 2 and text.count("endfunction") == 2
    assert text.index("pmux_1  = a") < text.index("pmux_2  = b")


def test_logical_not_of_a_vector_becomes_a_reduction_and_inequality_stays() -> None:
    assert tidy("assign a = ! b[3:0];", "t") == "assign a = ~| b[3:0];"
    assert tidy("assign a = ! { b, c };", "t") == "assign a = ~| { b, c };"
    assert tidy("assign a = ! \\$4 ;", "t") == "assign a = ~| w_4 ;"
    assert tidy("assign a = b != c;", "t") == "assign a = b != c;"


def test_registers_lose_their_initial_values() -> None:
    text = "module t;\n  reg [5:0] fill = 6'h00;\n  reg done = 1'h1;\n  assign a = 1'h0;\nendmodule\n"
    assert tidy(text, "t") == "module t;\n  reg [5:0] fill;\n  reg done;\n  assign a = 1'h0;\nendmodule\n"


def test_a_vector_assigned_in_parts_becomes_one_concatenation() -> None:
    parts = "  assign v[3:0] = a;\n  assign v[7] = { b };\n  assign v[6:4] = c + 3'h1;\n"
    text = f"module t;\n  wire [7:0] v;\n{parts}  assign other = v_6_4;\nendmodule\n"
    assert tidy(text, "t") == (
        "module t;\n  wire [7:0] v;\n  assign other = v_6_4;\n"
        "  wire [2:0] v_6_4_part;\n  assign v_6_4_part = c + 3'h1;\n"
        "  assign v = { { b }, v_6_4_part, a };\nendmodule\n"
    )


def test_a_part_that_another_part_depends_on_is_read_from_a_wire_of_its_own() -> None:
    parts = "  assign v[7:4] = v[1] ? a : b;\n  assign v[3:1] = c;\n  assign v[0] = v[7:4] == d;\n"
    text = tidy(f"module t(a);\n  wire [7:0] v;\n{parts}  assign e = v;\nendmodule\n", "t")
    loops = re.findall(r"assign (\w+) = (.*);", text)
    depends = {name: set(re.findall(r"[a-z]\w*", value)) for name, value in loops}
    assert depends["v"] == {"v_7_4", "v_3_1", "v_0_0"}
    assert depends["v_7_4"] == {"v_3_1", "a", "b"} and "v_3_1 [0:0] ? a : b" in text
    assert depends["v_0_0"] == {"v_7_4", "d"} and depends["v_3_1"] == {"c"} and depends["e"] == {"v"}
    for wire in ("v_7_4", "v_3_1"):
        assert text.index(f"wire [{3 if wire == 'v_7_4' else 2}:0] {wire};") < text.index(f"= {wire}")


def test_a_vector_of_which_a_part_is_not_assigned_stays_as_it_is() -> None:
    for parts in ("  assign v[3:0] = a;\n", "  assign v[3:0] = a;\n  assign v[7:5] = c;\n"):
        text = f"module t;\n  wire [7:0] v;\n{parts}endmodule\n"
        assert tidy(text, "t") == text


def test_modules_are_split_by_name_and_none_is_lost() -> None:
    text = "/* head */\nmodule a(x);\n  input x;\nendmodule\n\n(* top *)\nmodule b (y);\nendmodule\n"
    assert split_modules(text) == {"a": "module a(x);\n  input x;\nendmodule\n", "b": "module b (y);\nendmodule\n"}


def test_the_exported_text_has_nothing_left_to_rewrite(rtl_of: Callable[[str], Path]) -> None:
    for path in rtl_of("tiny").glob("*.sv"):
        text = path.read_text()
        assert "\\" not in text and "casez" not in text and "= ! " not in text, path.name
        assert text.startswith(f"module {path.stem}") and text.count("endmodule") == 1
        assert tidy(text, "actcodec_codec") == text
