def test_units(nbdl_check):
    nbdl_check()
