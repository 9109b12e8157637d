"""Which languages and frameworks there are, by the names of files and of dependencies. Pure."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from attractor.project.model import Language

_BY_LANGUAGE: Final = MappingProxyType(
    {
        "Python": "py pyi",
        "TypeScript": "ts tsx mts cts",
        "JavaScript": "js jsx mjs cjs",
        "Go": "go",
        "Rust": "rs",
        "Java": "java",
        "Kotlin": "kt kts",
        "Scala": "scala",
        "Ruby": "rb rake",
        "PHP": "php",
        "Elixir": "ex exs",
        "C#": "cs",
        "F#": "fs",
        "C": "c h",
        "C++": "cc cpp cxx hh hpp",
        "Swift": "swift",
        "Dart": "dart",
        "Lua": "lua",
        "Shell": "sh bash zsh",
        "SQL": "sql",
        "HTML": "html htm",
        "CSS": "css scss sass less",
        "Vue": "vue",
        "Svelte": "svelte",
        "Terraform": "tf",
        "Haskell": "hs",
        "Zig": "zig",
    }
)
_LANGUAGES: Final = {
    ending: name for name, endings in _BY_LANGUAGE.items() for ending in endings.split()
}

_FRAMEWORKS: Final = MappingProxyType(
    {
        "@angular/core": "Angular",
        "@nestjs/core": "NestJS",
        "@playwright/test": "Playwright",
        "@sveltejs/kit": "SvelteKit",
        "actix-web": "Actix Web",
        "aiohttp": "aiohttp",
        "axum": "Axum",
        "celery": "Celery",
        "click": "Click",
        "django": "Django",
        "electron": "Electron",
        "express": "Express",
        "fastapi": "FastAPI",
        "fastify": "Fastify",
        "flask": "Flask",
        "github.com/gin-gonic/gin": "Gin",
        "github.com/gofiber/fiber": "Fiber",
        "github.com/labstack/echo": "Echo",
        "github.com/spf13/cobra": "Cobra",
        "jest": "Jest",
        "junit-jupiter": "JUnit",
        "laravel/framework": "Laravel",
        "microsoft.net.sdk.web": "ASP.NET Core",
        "next": "Next.js",
        "nuxt": "Nuxt",
        "nunit": "NUnit",
        "org.springframework.boot": "Spring Boot",
        "phoenix": "Phoenix",
        "phpunit/phpunit": "PHPUnit",
        "pytest": "pytest",
        "rails": "Rails",
        "react": "React",
        "rocket": "Rocket",
        "rspec": "RSpec",
        "sinatra": "Sinatra",
        "spring-boot-starter": "Spring Boot",
        "sqlalchemy": "SQLAlchemy",
        "starlette": "Starlette",
        "svelte": "Svelte",
        "symfony/framework-bundle": "Symfony",
        "tokio": "Tokio",
        "vite": "Vite",
        "vitest": "Vitest",
        "vue": "Vue",
        "xunit": "xUnit",
    }
)
_BEGINNINGS: Final = ("spring-boot-starter", "github.com/")


def languages(paths: Iterable[str]) -> tuple[Language, ...]:
    """Return the languages, the most frequent first."""
    endings = (posixpath.splitext(path)[1][1:].lower() for path in paths)
    found = Counter(_LANGUAGES[each] for each in endings if each in _LANGUAGES)
    ordered = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return tuple(Language(name, count) for name, count in ordered)


def frameworks(needs: Iterable[str]) -> tuple[str, ...]:
    """Return the frameworks among the names of dependencies."""
    return tuple(sorted({found for each in needs if (found := _framework(each.lower()))}))


def _framework(name: str) -> str:
    if name in _FRAMEWORKS:
        return _FRAMEWORKS[name]
    if name.startswith(_BEGINNINGS):
        for known, framework in _FRAMEWORKS.items():
            if name.startswith((f"{known}-", f"{known}/")):
                return framework
    return ""
