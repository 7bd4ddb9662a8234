# SPDX-License-Identifier: Apache-2.0
"""Markdown tables."""


def number(value, places=0):
    return f"{value:,.{places}f}"


def print_table(title, columns, rows):
    print(f"\n**{title}**\n")
    print("| " + " | ".join(columns) + " |")
    print("|---" + "|--:" * (len(columns) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
