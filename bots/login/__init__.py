"""How people log in: each attempt on record, the brake on failures, second factors, and single sign-on."""
