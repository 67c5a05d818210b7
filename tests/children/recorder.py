#!/usr/bin/python3
"""A child that passes everything and records it."""

import common

common.run(common.Recorder)
