"""svwar under another name, as its copies in the wild: nothing but the User-Agent differs."""

import functools
import sys

from sipvicious import svwar

svwar.makeRequest = functools.partial(svwar.makeRequest, useragent="Linksys/SPA942-6.1.5(a)")
sys.exit(svwar.main())
