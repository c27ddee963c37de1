# SPDX-License-Identifier: Apache-2.0
"""Files to measure scanners with: harmless malicious ones by technique, and benign ones that the real libraries write.

`python -m tests.verify.corpus malicious FOLDER` needs nothing; `... benign FOLDER` needs the libraries and writes what it can.
No file is ever loaded here. The payload of a malicious one would touch a file in the temporary folder.
"""
