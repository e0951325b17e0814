"""Every field of the contract: tables of what each takes, shows and refuses, and the walks over them."""
