"""Chapter 2: the theorems on trained networks. Its tables and figures."""
