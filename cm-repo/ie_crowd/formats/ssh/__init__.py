"""SSH keys and signatures: read strictly here, made and verified by OpenSSH's ssh-keygen.

keys        public keys, as a .pub file holds them
signatures  signatures of ssh-keygen -Y sign: whose key they name, and for what
program     ssh-keygen in a child process: sign, verify
"""
