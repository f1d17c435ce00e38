"""What a third party's tests inherit: contract suites for the ports that Treue defines."""
