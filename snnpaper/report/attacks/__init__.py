"""Chapter 6: what stands under the strongest attacks. Its tables and figures."""
