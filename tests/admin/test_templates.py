"""Templates are compiled before a page is rendered, with all that they are made of."""

import pytest
from jinja2 import DictLoader, Environment, TemplateNotFound

from app.admin.view import load_template

PARTS = {
    "page.html": '{% from "marks.html" import mark %}<{{ mark() }}{% block main %}{% endblock %}>',
    "marks.html": "{% macro mark() %}!{% endmacro %}",
    "files.html": '{% extends "page.html" %}{% block main %}{{ count }}{% endblock %}',
}


def test_a_page_is_rendered_of_templates_that_were_loaded_with_it() -> None:
    source = dict(PARTS)
    env = Environment(loader=DictLoader(source), auto_reload=False, autoescape=True)
    page = load_template(env, "files.html")
    source.clear()
    assert page.render(count=3) == "<!3>"


def test_a_template_that_is_not_there_is_an_error() -> None:
    env = Environment(loader=DictLoader({}), autoescape=True)
    with pytest.raises(TemplateNotFound):
        load_template(env, "files.html")
