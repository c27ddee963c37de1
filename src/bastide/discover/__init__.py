# SPDX-License-Identifier: Apache-2.0
"""From what is really there to a plan: files are read into resources, resources into components and flows, each with its place.

`tree` walks a folder, `importers` read its files (one technology a file), `types` says what a resource is (knowledge as data), `resolve`
finds out what is the same thing and what talks to what. Nothing is executed, rendered or fetched.
"""
