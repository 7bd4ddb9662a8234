# SPDX-License-Identifier: Apache-2.0
"""The part of Helm's template language that deploy/chart is written in, and no more: what it does not know is an error.

    {{ .Values.a.b }}  {{ .Release.Namespace }}  {{ .Chart.AppVersion }}  "literals"
    X | default Y      toYaml X | nindent N      and X Y      ne X Y      {{- if X }} ... {{- end }}      {{- /* comments */}}

So the chart can be compared with the plain manifests on a machine without helm; where helm is in PATH, a test compares the
two renderers.
"""
import re

import yaml

ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.S)


class Unknown(Exception):
    pass


def words(text):
    return re.findall(r'"[^"]*"|[^\s"]+', text)


def value(word, scope):
    if word.startswith('"'):
        return word[1:-1]
    if re.fullmatch(r"\d+", word):
        return int(word)
    if not re.fullmatch(r"(\.[A-Za-z]+)+", word):
        raise Unknown(word)
    found = scope
    for key in word[1:].split("."):
        if not isinstance(found, dict) or key not in found:
            raise Unknown(f"{word}: there is no such value")
        found = found[key]
    return found


def call(text, scope, piped=()):
    """One command of a pipeline; what was piped comes last among its arguments."""
    name, *rest = words(text)
    arguments = [value(w, scope) for w in rest] + list(piped)
    functions = {
        "default": lambda fallback, x: x or fallback,
        "toYaml": lambda x: yaml.safe_dump(x, default_flow_style=False).rstrip("\n"),
        "nindent": lambda n, x: "\n" + "\n".join(" " * n + line for line in x.split("\n")),
        "and": lambda *xs: next((x for x in xs if not x), xs[-1]),
        "ne": lambda a, b: a != b,
    }
    if name in functions:
        return functions[name](*arguments)
    if rest or piped:
        raise Unknown(text)
    return value(name, scope)


def pipeline(text, scope):
    first, *rest = [part.strip() for part in text.split("|")]
    result = call(first, scope)
    for part in rest:
        result = call(part, scope, (result,))
    return result


def shown(x):
    return {True: "true", False: "false", None: ""}.get(x) if isinstance(x, bool) or x is None else str(x)


def render(text, scope):
    """One template. The `-` of a delimiter eats the blanks on its side, line ends too."""
    out, stack, at = [], [True], 0
    for m in ACTION.finditer(text):
        plain = text[at:m.start()]
        if m.group(1):
            plain = plain.rstrip()
        if all(stack):
            out.append(plain)
        at = m.end()
        if m.group(3):
            at += len(text[at:]) - len(text[at:].lstrip())
        body = m.group(2)
        if body.startswith("/*"):
            continue
        if body.startswith("if "):
            stack.append(bool(all(stack) and pipeline(body[3:], scope)))
        elif body == "end":
            if len(stack) == 1:
                raise Unknown("end without if")
            stack.pop()
        elif all(stack):
            out.append(shown(pipeline(body, scope)))
    if len(stack) != 1:
        raise Unknown("if without end")
    return "".join(out) + text[at:]


def merge(base, more):
    if not isinstance(base, dict) or not isinstance(more, dict):
        return more
    return {**base, **{k: merge(base[k], v) if k in base else v for k, v in more.items()}}


def render_chart(chart, values=None, namespace="tapeloop"):
    """All objects of a chart, as `helm template` gives them."""
    meta = yaml.safe_load((chart / "Chart.yaml").read_text())
    scope = {"Values": merge(yaml.safe_load((chart / "values.yaml").read_text()), values or {}),
             "Release": {"Namespace": namespace}, "Chart": {"AppVersion": meta["appVersion"]}}
    objects = []
    for path in sorted((chart / "templates").glob("*.yaml")):
        try:
            objects += [o for o in yaml.safe_load_all(render(path.read_text(), scope)) if o]
        except (Unknown, yaml.YAMLError) as why:
            raise AssertionError(f"{path.name}: {why}") from None
    return objects
