print("mallow")
