"""What proves the suite's claims on your own machine: speed, devices, reproduction."""
