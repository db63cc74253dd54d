"""What is frozen into the supervisor's firmware, in the form of micropython-lib: include it from a board's manifest.

include("firmware/manifest.py")                              what is in this tree; no SenML
include("firmware/manifest.py", senml="DIR")                 senml of PyPI, unpacked in DIR
include("firmware/manifest.py", micropython_lib=True)        senml and cbor2 by require(), where a checkout is given
"""

# ruff: noqa: F821  (the names are those that MicroPython's manifestfile.py gives)

options.defaults(senml="", micropython_lib=False)

metadata(version="0.1.0", description="Vedette's supervisor: brings a dead host back and never makes things worse")

package("supervisor")
package("loader")
package("appliance", files=("wire/mcu_link.py", "wire/mcu_words.py"), base_path="..")
module("board.py", base_path="board")
module("start.py", base_path="board")

if options.micropython_lib:
    require("senml")
else:
    module("cbor2.py", base_path="lib")
    if options.senml:
        package("senml", base_path=options.senml)
